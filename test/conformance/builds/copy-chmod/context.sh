echo f > file
mkdir -p dir/sub
echo d > dir/sub/d
ln -s d dir/sub/link
