mkdir dir
echo one > dir/one
ln dir/one dir/two
echo a > a
ln a b
