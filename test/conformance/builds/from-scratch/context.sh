echo hello > hello
chmod 755 hello
