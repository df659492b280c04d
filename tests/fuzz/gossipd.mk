# Fuzz targets of gossipd/.
