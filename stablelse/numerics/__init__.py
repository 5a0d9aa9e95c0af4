"""Arrays in, arrays out: formats, formulas, the library functions; knows no file or screen."""
