mkdir -p from/sub
echo new > from/file
echo sub > from/sub/in
echo f > file
