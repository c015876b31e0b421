"""The command `mailadmin`: what a person does with a data folder, while the servers run or not."""
