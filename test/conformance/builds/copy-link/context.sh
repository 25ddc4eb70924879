echo f > file
mkdir dir
echo d > dir/d
