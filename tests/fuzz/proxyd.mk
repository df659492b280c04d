# Fuzz targets of proxyd/.
