mkdir -p t/sub
echo a > t/a
echo b > t/sub/b
chown -R 21:22 t
tar --numeric-owner -C t -cJf packed.tar.xz a sub
tar --numeric-owner -C t -cjf packed.tar.bz2 a sub
echo no archive | xz > file.xz
rm -r t
