mkdir dir
echo f > dir/file
mkfifo dir/pipe
