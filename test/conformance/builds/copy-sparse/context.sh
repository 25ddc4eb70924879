truncate -s 3000000 sparse
echo end >> sparse
yes 0123456789 | head -c 2000001 > big
