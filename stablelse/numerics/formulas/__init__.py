"""What a textbook writes: formulas as data, evaluated in every format, and their error bounds."""
