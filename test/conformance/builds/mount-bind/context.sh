mkdir dir
echo in > dir/in
echo f > file
