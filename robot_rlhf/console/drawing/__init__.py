"""What every screen is drawn with: canvas, text, icons, colours, and the thread that draws."""
