echo app > app.txt
