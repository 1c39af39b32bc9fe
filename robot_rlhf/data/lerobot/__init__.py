"""LeRobotDataset v3.0, written and read: meta/, data/ and videos/ as LeRobot itself lays them out."""
