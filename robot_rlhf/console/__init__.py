"""The operator's console: a window that shows what arrives on the wire and says what the person does."""
