# Unit tests of ctl/.
