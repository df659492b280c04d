# Fuzz targets of common/.
