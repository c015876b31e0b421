"""The full screen: screens are values, `shell` draws them and `office` does their work."""
