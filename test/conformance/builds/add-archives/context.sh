mkdir -p t/sub
echo a > t/a
echo b > t/sub/b
ln t/a t/hard
ln -s a t/soft
chmod 750 t/sub
chmod 4711 t/a
chown -R 21:22 t
tar --numeric-owner -C t -cf plain.tar a hard soft sub
tar --numeric-owner -C t -czf packed.tar.gz .
cp packed.tar.gz odd-name
echo nonsense > not-an-archive.tar
echo f > file
rm -r t
