"""esc_robot: a humanoid robot that listens, understands and answers with care, on its own hardware."""

__version__ = "0.1.0"
