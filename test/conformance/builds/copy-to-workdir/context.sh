echo f > file
mkdir dir
echo i > dir/in
