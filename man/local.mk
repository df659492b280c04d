# What this folder adds to the build.
