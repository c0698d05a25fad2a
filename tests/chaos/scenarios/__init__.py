"""Each scenario is a function of a stage that does the damage and brings the platform to rest again. What must be true
then is the same for all of them, and asked by `Stage.agree`."""
