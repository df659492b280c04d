# Unit tests of proxyd/.
