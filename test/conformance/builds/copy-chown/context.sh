echo f > file
mkdir -p dir/sub
echo d > dir/sub/d
ln -s d dir/sub/link
chown -h 8:8 dir/sub/link
