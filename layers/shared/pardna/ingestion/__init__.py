"""How money data comes in: captured byte for byte, normalised at its own pace, nothing lost."""
