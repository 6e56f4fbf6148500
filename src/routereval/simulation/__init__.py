"""Plans that are simulated: how long a suite takes on so many workers (``costs``, ``work``, ``schedule``)."""
