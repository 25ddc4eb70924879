echo script > script
chmod 755 script
mkdir dir
echo in > dir/in
