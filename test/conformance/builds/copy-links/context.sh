mkdir dir real
echo t > target
echo r > real/r
ln -s target link
ln -s link chain
ln -s ../target dir/inner
ln -s nowhere dir/dangling
ln -s /etc/passwd dir/absolute
ln -s real todir
ln -s ../real dir/todir
chmod 600 target
