for n in a b c; do echo $n > $n.txt; echo $n > $n.md; done
echo long > long.md
mkdir dir1 dir2
for n in x1 x2 y1; do echo $n > dir1/$n; echo 2$n > dir2/$n; done
echo ns > no-star-here
echo br > '[brackets]'
cp '[brackets]' br-copy
