echo f > file
mkdir dir
echo d > dir/d
echo 1 > 1.txt
echo 2 > 2.txt
