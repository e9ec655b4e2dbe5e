"""JPEG files as quantised coefficients: reading, writing and tables, with numpy alone. Pixels are not made here."""
