# Fuzz targets of cryptod/.
