# Unit tests of gossipd/.
