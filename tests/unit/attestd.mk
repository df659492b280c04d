# Unit tests of attestd/.
