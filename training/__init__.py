"""What is made before the robot speaks: corpus, adapters, measurements. No ROS; nothing of the robot imports it."""

import os

# OpenMP's threads spin while they wait, which on a machine that also does other work costs up to eight times the speed.
# It is read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
