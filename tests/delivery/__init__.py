"""What must hold of result sets from their intake to their arrival."""
