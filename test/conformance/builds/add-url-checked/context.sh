mkdir t
echo packed > t/in
tar --numeric-owner --owner=0 --group=0 -C t -cf archive.tar in
rm -r t
