"""The operator's console: a window that shows what arrives on the wire and says what the person does."""

import os

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # before pygame is imported: it greets on stdout
