echo new > file
mkdir dir
echo in > dir/in
ln dir/in dir/also
