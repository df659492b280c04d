# Unit tests of cryptod/.
