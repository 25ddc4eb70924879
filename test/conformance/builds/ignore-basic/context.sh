printf '# comment\n*.log\n/rooted\nsub/hidden\ntrailing/\n  spaced  \n\n' > .dockerignore
mkdir -p sub/rooted trailing other
for f in a.log b.txt sub/c.log rooted sub/rooted/f sub/hidden sub/shown trailing/t spaced other/trailing; do echo $f > $f; done
