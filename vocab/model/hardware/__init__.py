"""What models run on: devices, one process or several, precision and memory."""
