"""What keeps a folder of cassettes healthy for years: checks, their fixes and the way back, ages, sizes, the baseline."""
