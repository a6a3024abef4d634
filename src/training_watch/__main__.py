from training_watch.cli import main

main()
