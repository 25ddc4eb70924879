echo content > file
echo too > file.too
chmod 640 file.too
chown 77:88 file
