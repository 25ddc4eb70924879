mkdir -p a/b a/o x/y
for f in a/b/c.txt a/b/d.txt a/o/d.txt x/y/z; do echo $f > $f; done
