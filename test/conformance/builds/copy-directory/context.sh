mkdir -p dir/sub/deep dir/empty dir2
echo a > dir/a
echo b > dir/sub/b
echo c > dir/sub/deep/c
echo d > dir2/d
chmod 700 dir/sub
chmod 711 dir2
chown -R 5:5 dir
