"""What becomes of a message: who may have it, what is added, when it is safe."""
