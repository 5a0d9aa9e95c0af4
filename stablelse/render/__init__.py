"""Facts into what a person or a program reads; a renderer returns a value and prints nothing."""
