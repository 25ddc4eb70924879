mkdir -p t/sub t/d
echo new > t/a
echo b > t/sub/b
echo x > t/d/x
chown -R 21:22 t
chmod 755 t/sub
tar --numeric-owner -C t -cf plain.tar a sub d
rm -r t
