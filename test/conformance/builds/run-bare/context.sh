echo made > made
